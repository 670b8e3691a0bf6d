"""What a request costs: processor time and memory, beside other proxies."""
