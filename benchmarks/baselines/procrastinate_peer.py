"""procrastinate on the same PostgreSQL. Runs in the peers' environment, as a script: ``fill N`` or ``work``."""

import os
import sys

import procrastinate  # type: ignore[import-not-found, unused-ignore]

DSN = os.environ["BENCH_DATABASE_URL"].replace("postgres:", "postgresql:")
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=DSN))


@app.task(name="noop")  # type: ignore[untyped-decorator, unused-ignore]
def noop() -> dict[str, str]:
    return {"message": "done"}


async def prepare(count: int) -> None:
    async with app.open_async():
        if not await app.check_connection_async():
            await app.schema_manager.apply_schema_async()
        if count:
            await app.connector.execute_query_async("TRUNCATE procrastinate_jobs, procrastinate_events CASCADE")
            await noop.batch_defer_async(*[{} for _ in range(count)])


async def work() -> None:
    async with app.open_async():
        await app.run_worker_async(concurrency=2, wait=False, install_signal_handlers=False)


if __name__ == "__main__":
    import asyncio

    asyncio.run(work() if sys.argv[1] == "work" else prepare(int(sys.argv[2])))
