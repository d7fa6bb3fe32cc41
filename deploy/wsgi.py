"""For WSGI servers other than the one that `cobalamin serve` runs: `deploy.wsgi:app`."""

from services.wsgi import application

app = application()
