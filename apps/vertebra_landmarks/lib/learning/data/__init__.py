"""From files to tensors: data sets, labelled items, random views, patches, rehearsal."""
