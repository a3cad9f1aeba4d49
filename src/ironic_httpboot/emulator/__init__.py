"""A Redfish BMC in front of QEMU machines whose UEFI firmware performs a real HTTP boot."""
