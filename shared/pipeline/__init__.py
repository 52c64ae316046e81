"""How every event takes effect exactly once: `decisions` has the words, `pipeline` ties the parts together."""
