/// A view of a row-major matrix in memory that somebody else owns (a ``Workspace``, or the caller of
/// ``Model/bind(values:gradients:)``). Rows need not follow each other: one attention head is a few columns of a wider
/// matrix.
struct Matrix<Element: Scalar> {
  let elements: UnsafeMutablePointer<Element>
  let rows: Int
  let columns: Int
  /// Elements from one stored row to the next.
  let stride: Int
  /// Whether stored rows are this matrix's columns; only ``multiply(_:_:into:scale:adding:)`` reads such a view.
  let isTransposed: Bool

  init(
    _ elements: UnsafeMutablePointer<Element>, rows: Int, columns: Int, stride: Int? = nil, isTransposed: Bool = false
  ) {
    self.elements = elements
    self.rows = rows
    self.columns = columns
    self.stride = stride ?? columns
    self.isTransposed = isTransposed
  }

  var transposed: Matrix {
    Matrix(elements, rows: columns, columns: rows, stride: stride, isTransposed: !isTransposed)
  }

  func row(_ index: Int) -> UnsafeMutablePointer<Element> {
    elements + index * stride
  }

  /// Part of the matrix, in place.
  func part(rows: Range<Int>, columns: Range<Int>) -> Matrix {
    assert(!isTransposed && rows.upperBound <= self.rows && columns.upperBound <= self.columns)
    return Matrix(row(rows.lowerBound) + columns.lowerBound, rows: rows.count, columns: columns.count, stride: stride)
  }

  /// The elements, one row after the other. Only where rows follow each other.
  var contiguous: UnsafeMutableBufferPointer<Element> {
    assert(stride == columns && !isTransposed)
    return UnsafeMutableBufferPointer(start: elements, count: rows * columns)
  }

  func add(_ other: Matrix) {
    assert(rows == other.rows && columns == other.columns)
    for index in 0..<rows {
      let (target, source) = (row(index), other.row(index))
      for column in 0..<columns { target[column] += source[column] }
    }
  }
}

/// `product = scale * a b`, or `product += scale * a b` if `adding`. Training spends nearly all of its time here.
func multiply<Element: Scalar>(
  _ a: Matrix<Element>, _ b: Matrix<Element>, into product: Matrix<Element>, scale: Element = 1, adding: Bool = false
) {
  precondition(
    a.columns == b.rows && a.rows == product.rows && b.columns == product.columns && !product.isTransposed,
    "a product of \(a.rows) x \(a.columns) and \(b.rows) x \(b.columns) is not \(product.rows) x \(product.columns)")
  if product.rows == 0 || product.columns == 0 { return }
  Element.gemm(
    a.rows, b.columns, a.columns, alpha: scale,
    a.elements, stride: a.stride, transposed: a.isTransposed,
    b.elements, stride: b.stride, transposed: b.isTransposed,
    beta: adding ? 1 : 0, product.elements, stride: product.stride)
}
