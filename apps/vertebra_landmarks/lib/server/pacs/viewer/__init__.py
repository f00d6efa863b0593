"""A viewer for a PACS: the static build of OHIF, and DICOMweb under the same address."""
