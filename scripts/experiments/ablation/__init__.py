"""What each part of the method brings: trainings, evaluation and table."""
