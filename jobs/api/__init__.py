"""The jobs API: views, the job's JSON, idempotency, health."""
