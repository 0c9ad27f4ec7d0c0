"""Two visits of one person: what is new, gone, grown or shrunk between them."""
