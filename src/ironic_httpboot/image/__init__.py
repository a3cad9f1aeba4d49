"""Images as extents: FAT, ISO 9660, cpio and UKI layouts, and the recipe that becomes a blob."""
