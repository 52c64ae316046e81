"""What routing decides about a case: pure functions of the event, the state before it, the agreement and the time."""
