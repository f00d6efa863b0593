"""A trained model as a teacher: labels for images whose vertebrae are marked only."""
