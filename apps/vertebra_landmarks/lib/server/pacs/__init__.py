"""Images from a PACS, by DICOMweb: client, filter, catalogue, cache and watcher."""
