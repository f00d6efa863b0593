"""Backup, restore, verification and move of a studies folder with its database."""
