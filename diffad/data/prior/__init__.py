"""What is known of any brain before a scan is looked at."""
