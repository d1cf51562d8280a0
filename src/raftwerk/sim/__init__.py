"""The virtual world: the production code in one thread, in virtual time, on a faulty network and faulty disks, from one seed."""
