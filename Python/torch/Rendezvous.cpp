#include "Rendezvous.hpp"

#include "Errors.hpp"

#include <c10/util/Exception.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace tutti_torch {

namespace {

/// What the store said last when it failed; both the store's functions and who joins look at it.
struct Complaint {
  std::mutex mutex;
  std::string text;

  void set(const std::string& what) {
    std::lock_guard<std::mutex> lock(mutex);
    text = what;
  }
  std::string get() {
    std::lock_guard<std::mutex> lock(mutex);
    return text;
  }
};

struct Context {
  c10::intrusive_ptr<c10d::Store> store;
  std::shared_ptr<Complaint> complaint;
};

constexpr int kFailed = 2;

/// Runs `body`; an exception, which must not reach Tutti, becomes a code and the complaint.
template <typename Body>
int guarded(void* context, Body body) {
  auto* self = static_cast<Context*>(context);
  try {
    return body(*self->store);
  } catch (const c10::Error& error) {
    self->complaint->set(error.what_without_backtrace());
  } catch (const std::exception& error) {
    self->complaint->set(error.what());
  }
  return kFailed;
}

int copyOut(const std::vector<uint8_t>& stored, void* value, size_t* bytes) {
  if (stored.size() > TUTTI_RENDEZVOUS_VALUE_MAX) {
    throw std::runtime_error("the store holds something else under the key of the group");
  }
  std::memcpy(value, stored.data(), stored.size());
  *bytes = stored.size();
  return TUTTI_RENDEZVOUS_OK;
}

int put(void* context, const char* key, const void* value, size_t bytes, int64_t) {
  return guarded(context, [&](c10d::Store& store) {
    const auto* first = static_cast<const uint8_t*>(value);
    store.set(key, std::vector<uint8_t>(first, first + bytes));
    return static_cast<int>(TUTTI_RENDEZVOUS_OK);
  });
}

int get(void* context, const char* key, void* value, size_t* bytes, int64_t) {
  return guarded(context, [&](c10d::Store& store) {
    return store.check({key}) ? copyOut(store.get(key), value, bytes) : static_cast<int>(TUTTI_RENDEZVOUS_NOTHING);
  });
}

void release(void* context) { delete static_cast<Context*>(context); }

bool isSet(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

} // namespace

tutti_comm* join(
    const c10::intrusive_ptr<c10d::Store>& store, int rank, int size, std::chrono::milliseconds timeout) {
  auto complaint = std::make_shared<Complaint>();
  // The store itself, not a clone. FileStore counts who has opened its file and who has finished with it, for all clones: a
  // rank that makes one counts as two, and its end can remove the file before another rank has come.
  auto context = std::make_unique<Context>(Context{store, complaint});
  tutti_rendezvous rendezvous = TUTTI_RENDEZVOUS_INIT;
  rendezvous.put = put;
  rendezvous.get = get;
  // No `wait`: one on the store's connection would keep the program's other threads from it. Tutti asks again and again.
  rendezvous.release = release;
  rendezvous.context = context.release();

  tutti_options options = TUTTI_OPTIONS_INIT;
  const bool hasSecret = isSet("TUTTI_SECRET") || isSet("TUTTI_SECRET_FILE");
  options.secret_kind = hasSecret ? TUTTI_SECRET_ENVIRONMENT : TUTTI_SECRET_PUBLISHED;
  options.timeout_ns = options.join_timeout_ns = std::chrono::nanoseconds(timeout).count();
  if (const char* name = std::getenv("TUTTI_TORCH_TRANSPORT"); name != nullptr && *name != '\0') {
    const std::string transport = name;
    if (transport == "shm") {
      options.transport = TUTTI_TRANSPORT_SHARED_MEMORY;
    } else if (transport == "tcp") {
      options.transport = TUTTI_TRANSPORT_TCP;
    } else if (transport == "rdma") {
      options.transport = TUTTI_TRANSPORT_RDMA;
    } else if (transport != "auto") {
      release(rendezvous.context);
      refuse("init_process_group", "TUTTI_TORCH_TRANSPORT is '" + transport + "': it may be auto, shm, tcp or rdma");
    }
  }

  tutti_comm* comm = nullptr;
  const tutti_code code = tutti_join_rendezvous(rank, size, &rendezvous, nullptr, &options, &comm);
  const std::string said = code == TUTTI_ERROR_RENDEZVOUS ? complaint->get() : "";
  check(code, "init_process_group" + (said.empty() ? "" : " (PyTorch's store says: " + said + ")"), timeout);
  return comm;
}

} // namespace tutti_torch
