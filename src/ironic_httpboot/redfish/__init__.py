"""The Redfish client: ask a BMC to boot a URL once, and see that it understood."""
