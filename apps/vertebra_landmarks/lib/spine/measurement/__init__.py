"""What is measured on a spine: Cobb angles, anatomy checks, intervals, warnings, reports."""
