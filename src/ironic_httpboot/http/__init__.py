"""The artifact server: what a request for a blob is answered with, where blobs are published, and the server itself."""
