"""How the image lies and stands: pixel frame, patient geometry, orientation."""
