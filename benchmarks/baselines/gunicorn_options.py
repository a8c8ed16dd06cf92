"""gunicorn's options for a baseline's view: those of the product's ``gunicorn.conf.py`` that are about the server."""

worker_class = "gthread"
limit_request_line = 8190
control_socket_disable = True
