"""Values that a setting in a stranger's file may have."""

from typing import Any

__all__ = ["VALUES"]

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 10**6, 10**9, 10**10, 2**63, -(2**63), 10**400, 0.5, -0.5, 1e-300, 1e308,
    float("nan"), float("inf"), float("-inf"), "", "a", "evil", "../../x", "\ud800", "\0", "x" * 10_000, [], {}, [[]],
    [None], [0], [1, 1], [float("nan")], ["evil", "Evil"], {"a": 1}, [10**9] * 3,
)  # fmt: skip
