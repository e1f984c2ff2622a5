"""The applications in `examples/`, run as their READMEs say."""

from support.packages import require_packages

# Of the extra `examples`, one package for each application, and what the tests themselves import.
require_packages("examples", "django", "fastapi", "flask", "gunicorn", "nbclient", "nbformat", "pandas")
