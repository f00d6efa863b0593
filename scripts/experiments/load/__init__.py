"""Load of many annotators on several servers, some of which are killed, and the check that no label is lost."""
