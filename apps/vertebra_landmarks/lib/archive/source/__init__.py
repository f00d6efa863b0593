"""Where the images of an archive come from: folders, manifests, URLs and PACS."""
