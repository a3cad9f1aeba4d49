"""A boot from end to end on one machine: the parts that `make setup` unpacked, put together and watched."""
