"""The web application in place of MONAI Label's own: the same routes, hardened."""
