"""DICOM files: header, pixel data, gray values, geometry."""
