"""What a study looks like at a glance: lists of its images, thumbnails, statistics, and images of one patient."""
