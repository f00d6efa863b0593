"""Studies folders on each of the databases, as the tests of the store have them."""

from ..store.conftest import database, label, opened, postgresql, studies  # noqa: F401
