"""How a call is made: options, retries, rate limit, listeners."""
