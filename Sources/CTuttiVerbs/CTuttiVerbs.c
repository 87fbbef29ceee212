#include "CTuttiVerbs.h"

// The package's trait RDMA is on, and the headers it needs are missing.
#if defined(TUTTI_RDMA) && !(__has_include(<infiniband/verbs.h>) && __has_include(<rdma/rdma_cma.h>))
#error "RDMA needs the headers of libibverbs and librdmacm: install libibverbs-dev and librdmacm-dev, or build without RDMA: swift build --disable-default-traits"
#endif
