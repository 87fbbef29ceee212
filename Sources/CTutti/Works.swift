// Started operations as C programs hold them.

import CTuttiHeader
import Tutti
import TuttiSystem

extension tutti_work {
  /// A word that tells a started operation from memory that was never given one.
  private static func mark(_ handle: UInt64, _ number: UInt64) -> UInt64 { ~(handle ^ number &* 0x9E37_79B9_7F4A_7C15) }

  /// - Parameter comm: The handle of its communicator.
  init(_ work: Work, of comm: OpaquePointer?) {
    let handle = UInt64(UInt(bitPattern: comm))
    self.init(opaque: (handle, work.number, Self.mark(handle, work.number), 0))
  }

  /// Calls `body` with the operation.
  func use(_ body: (Work) throws(TuttiError) -> Void) throws(TuttiError) {
    guard opaque.2 == Self.mark(opaque.0, opaque.1), let pointer = OpaquePointer(bitPattern: UInt(opaque.0)) else {
      throw refusal("the tutti_work is no started operation", "Use one that a call has filled in, and returned TUTTI_OK")
    }
    guard let communicator = CommunicatorHandle(pointer).communicator else { throw freedHandle() }
    try body(Work(communicator: communicator.takeUnretainedValue(), number: opaque.1))
  }
}

@c @implementation
public func tutti_work_wait(_ work: UnsafePointer<tutti_work>?) -> tutti_code {
  attempt { () throws(TuttiError) in try read(work).use { (work) throws(TuttiError) in try work.wait() } }
}

@c @implementation
public func tutti_work_wait_all(_ works: UnsafePointer<tutti_work>?, _ count: Int) -> tutti_code {
  attempt { () throws(TuttiError) in
    if count == 0 { return }
    if count < 0 {
      throw refusal("\(UInt(bitPattern: count)) operations are too many", "Give the number of operations in the array")
    }
    for index in 0..<count {
      try read(works.map { $0 + index }, "works").use { (work) throws(TuttiError) in try work.wait() }
    }
  }
}

@c @implementation
public func tutti_work_wait_for(
  _ work: UnsafePointer<tutti_work>?, _ timeout_ns: Int64, _ done: UnsafeMutablePointer<Int32>?
) -> tutti_code {
  attempt { () throws(TuttiError) in
    let result = try place(done, "done")
    if timeout_ns < 0 { throw refusal("timeout_ns is negative (\(timeout_ns))", "Give nanoseconds, or 0 to look") }
    try read(work).use { (work) throws(TuttiError) in
      result.pointee = try work.wait(timeout: .nanoseconds(timeout_ns)) ? 1 : 0
    }
  }
}

@c @implementation
public func tutti_work_when_ended(
  _ work: UnsafePointer<tutti_work>?, _ callback: (@convention(c) (UnsafeMutableRawPointer?, tutti_code) -> Void)?,
  _ context: UnsafeMutableRawPointer?
) -> tutti_code {
  attempt { () throws(TuttiError) in
    guard let callback else { throw refusal("'callback' is NULL", "Give a function to call") }
    // The context is the program's, which answers for what its callback does with it on the library's thread.
    nonisolated(unsafe) let context = context
    try read(work).use { (work) throws(TuttiError) in
      try work.whenEnded { result in
        switch result {
        case .success: callback(context, TUTTI_OK)
        case .failure(let error): callback(context, fail(error))
        }
      }
    }
  }
}

private func read(_ work: UnsafePointer<tutti_work>?, _ name: StaticString = "work") throws(TuttiError) -> tutti_work {
  guard let work else { throw refusal("'\(name)' is NULL", "Give the address of a started operation") }
  return work.pointee
}
