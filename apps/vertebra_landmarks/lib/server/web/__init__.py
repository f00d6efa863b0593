"""The web application: what MONAI Label's clients ask for, made safe to leave running."""
