/// Memory for what the forward pass leaves for the backward pass, and for gradients on their way down.
///
/// Layers reserve arrays while a model is built; memory is allocated for the first batch and again only for a larger
/// one, so a training step allocates nothing. The workspace owns the memory; views of it hold until the next
/// ``prepare(positions:)``.
final class Workspace<Element: Scalar> {
  /// An array with one row for each position (token or image) of a batch.
  final class Rows {
    let columns: Int
    private var elements: UnsafeMutablePointer<Element>

    fileprivate init(columns: Int) {
      self.columns = columns
      elements = .allocate(capacity: 0)
    }

    deinit { elements.deallocate() }

    fileprivate func allocate(rows: Int) {
      elements.deallocate()
      elements = .allocate(capacity: rows * columns)
      elements.initialize(repeating: 0, count: rows * columns)
    }

    /// The first `rows` rows.
    func matrix(_ rows: Int) -> Matrix<Element> {
      Matrix(elements, rows: rows, columns: columns)
    }

    var start: UnsafeMutablePointer<Element> { elements }
  }

  private var arrays: [Rows] = []
  private var capacity = 0

  func rows(of columns: Int) -> Rows {
    precondition(capacity == 0, "arrays are reserved before the first batch")
    let array = Rows(columns: columns)
    arrays.append(array)
    return array
  }

  func prepare(positions: Int) {
    guard positions > capacity else { return }
    for array in arrays { array.allocate(rows: positions) }
    capacity = positions
  }
}
