"""What a user does with an image, without Qt and without a scene."""
