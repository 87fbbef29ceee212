// The headers of libibverbs and librdmacm, where they are installed, and what of them the Swift importer cannot see.
//
// Nothing here is linked: the libraries are opened when a program first looks for RDMA (see VerbsLibrary.swift), so that it
// also starts on hosts without them.
#ifndef CTUTTI_VERBS_H
#define CTUTTI_VERBS_H

#if __has_include(<infiniband/verbs.h>) && __has_include(<rdma/rdma_cma.h>)
#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>
#endif

#endif
