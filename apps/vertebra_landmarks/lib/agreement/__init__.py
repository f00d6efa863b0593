"""How well readings of the same images agree: with each other, with themselves, and with the model.

Functions of their arguments: numbers in, numbers out; no files, no database.
"""
