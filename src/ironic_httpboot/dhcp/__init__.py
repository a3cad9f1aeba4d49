"""The DHCP path: firmware asks as vendor class HTTPClient, and the answer carries a URL."""
