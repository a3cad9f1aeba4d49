"""Everything that knows Ironic: hardware types, boot interfaces, the DHCP provider and their options."""
