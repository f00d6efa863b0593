"""One prediction request: parameters, queue, cache of open images, what answers say."""
