"""Maps of many scans in the space of the template, summed up as maps of a group."""
