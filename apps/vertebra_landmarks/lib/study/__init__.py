"""An observer study: its plan, who reads what, what is hidden from whom, and how two readings differ.

Functions of their arguments: no database, no HTTP.
"""
