"""HTTP/1.1 for any server: nothing of Sekha but its errors."""
