import CTuttiHeader
import Glibc
import Tutti
import TuttiSystem

/// An error as C programs read it, with the memory of its texts. Each thread keeps its last one.
private final class ErrorRecord {
  /// Owned, with the texts it points to, until deinit.
  let pointer: UnsafeMutablePointer<tutti_error>
  private let cause: ErrorRecord?

  init(_ report: FailureReport) {
    let cause = report.cause.map(ErrorRecord.init)
    self.cause = cause
    pointer = .allocate(capacity: 1)
    pointer.initialize(
      to: tutti_error(
        size: MemoryLayout<tutti_error>.size, code: tutti_code(report.code), rank: Int32(clamping: report.rank),
        peer: Int32(clamping: report.peer), step: Int32(clamping: report.step), system_error: report.systemError,
        operation_number: report.operationNumber, operation: strdup(report.operation), transport: strdup(report.transport),
        message: strdup(report.message), advice: strdup(report.advice), text: strdup(report.description),
        cause: cause.map { UnsafePointer($0.pointer) }))
  }

  deinit {
    let error = pointer.pointee
    for text in [error.operation, error.transport, error.message, error.advice, error.text] {
      free(UnsafeMutablePointer(mutating: text))
    }
    pointer.deallocate()
  }

  // MARK: Of a thread

  /// nil where the process has no key left for it: errors are codes only then.
  private static let key: pthread_key_t? = {
    var key = pthread_key_t()
    let code = pthread_key_create(&key) { record in
      if let record { Unmanaged<ErrorRecord>.fromOpaque(record).release() }
    }
    return code == 0 ? key : nil
  }()

  /// The calling thread's last error.
  static var last: ErrorRecord? {
    get {
      guard let key, let record = pthread_getspecific(key) else { return nil }
      return Unmanaged<ErrorRecord>.fromOpaque(record).takeUnretainedValue()
    }
    set {
      guard let key else { return }
      let old = pthread_getspecific(key)
      pthread_setspecific(key, newValue.map { Unmanaged.passRetained($0).toOpaque() })
      if let old { Unmanaged<ErrorRecord>.fromOpaque(old).release() }
    }
  }
}

extension tutti_code {
  /// The codes of C are the library's own.
  init(_ code: FailureCode) { self.init(UInt32(code.rawValue)) }
}

/// Keeps an error for `tutti_error_last` on this thread, and returns its code.
@inline(never)
func fail(_ error: TuttiError) -> tutti_code {
  ErrorRecord.last = ErrorRecord(error.report)
  return tutti_code(error.code)
}

@c @implementation
public func tutti_error_last() -> UnsafePointer<tutti_error>? { ErrorRecord.last.map { UnsafePointer($0.pointer) } }
