"""The backends that all tests run on keep the contract."""

from backend_contract import BackendContract


class TestBackends(BackendContract):
    """Embedded by default, or what BACKEND says."""
