/// Causal multi-head self-attention, between the two linear layers around it: Vaswani et al., "Attention Is All You
/// Need", 2017.
///
/// Queries, keys and values of all heads lie side by side in one matrix, `[positions, 3 * width]`; a head is a few of its
/// columns, which matrix products read in place.
struct Attention<Element: Scalar> {
  let heads: Int
  let width: Int
  /// How much each position looks at each other one: `[rows, heads, length, length]`, for the backward pass.
  private let weights: Workspace<Element>.Rows
  /// The gradient of one head's `weights`.
  private let weightGradient: Workspace<Element>.Rows

  private var headWidth: Int { width / heads }
  private var scale: Element { 1 / Element(headWidth).squareRoot() }

  /// - Parameter scratch: `[positions, context]`, shared by all layers.
  init(
    heads: Int, width: Int, context: Int, weightGradient scratch: Workspace<Element>.Rows, _ workspace: Workspace<Element>
  ) {
    self.heads = heads
    self.width = width
    weights = workspace.rows(of: heads * context)
    weightGradient = scratch
  }

  /// `qkv` is `[rows * length, 3 * width]`, `output` `[rows * length, width]`.
  func forward(_ qkv: Matrix<Element>, length: Int, into output: Matrix<Element>) {
    forEachHead(qkv, length: length) { head, place in
      let weights = self.weights(place, length)
      multiply(head.queries, head.keys.transposed, into: weights, scale: scale)
      Self.causalSoftmax(inPlace: weights)
      multiply(weights, head.values, into: columns(of: output, place, length))
    }
  }

  /// - Parameter qkvGradient: Overwritten.
  func backward(
    _ qkv: Matrix<Element>, length: Int, _ outputGradient: Matrix<Element>, into qkvGradient: Matrix<Element>
  ) {
    forEachHead(qkv, length: length) { head, place in
      let weights = self.weights(place, length)
      let gradient = self.head(of: qkvGradient, place, length)
      let upstream = columns(of: outputGradient, place, length)
      multiply(weights.transposed, upstream, into: gradient.values)
      let scores = Matrix(weightGradient.start, rows: length, columns: length)
      multiply(upstream, head.values.transposed, into: scores)
      Self.causalSoftmaxBackward(weights: weights, gradient: scores)
      multiply(scores, head.keys, into: gradient.queries, scale: scale)
      multiply(scores.transposed, head.queries, into: gradient.keys, scale: scale)
    }
  }

  /// Position `i` looks at itself and what is before it; the rest of its row becomes 0.
  private static func causalSoftmax(inPlace weights: Matrix<Element>) {
    for index in 0..<weights.rows {
      let row = weights.row(index)
      var largest = row[0]
      for column in 0...index { largest = max(largest, row[column]) }
      for column in 0...index { row[column] = Element.exp(row[column] - largest) }
      let inverse = 1 / sum(row, index + 1)
      for column in 0...index { row[column] *= inverse }
      for column in index + 1..<weights.columns { row[column] = 0 }
    }
  }

  /// `gradient` comes in as that of the weights, and leaves as that of the scores they were made from.
  private static func causalSoftmaxBackward(weights: Matrix<Element>, gradient: Matrix<Element>) {
    for index in 0..<weights.rows {
      let (weight, row) = (weights.row(index), gradient.row(index))
      let mean = dot(weight, row, index + 1)
      for column in 0...index { row[column] = weight[column] * (row[column] - mean) }
      for column in index + 1..<weights.columns { row[column] = 0 }
    }
  }

  // MARK: Where a head's numbers are

  private typealias Place = (row: Int, head: Int)
  private typealias Head = (queries: Matrix<Element>, keys: Matrix<Element>, values: Matrix<Element>)

  private func forEachHead(_ qkv: Matrix<Element>, length: Int, _ body: (Head, Place) -> Void) {
    guard length > 0 else { return }
    for row in 0..<qkv.rows / length {
      for index in 0..<heads { body(head(of: qkv, (row, index), length), (row, index)) }
    }
  }

  private func head(of qkv: Matrix<Element>, _ place: Place, _ length: Int) -> Head {
    func part(_ kind: Int) -> Matrix<Element> { columns(of: qkv, place, length, from: kind * width) }
    return (part(0), part(1), part(2))
  }

  private func columns(
    of matrix: Matrix<Element>, _ place: Place, _ length: Int, from start: Int = 0
  ) -> Matrix<Element> {
    let first = start + place.head * headWidth
    return matrix.part(
      rows: place.row * length..<(place.row + 1) * length, columns: first..<first + headWidth)
  }

  private func weights(_ place: Place, _ length: Int) -> Matrix<Element> {
    let before = (place.row * heads + place.head) * length * length
    return Matrix(weights.start + before, rows: length, columns: length)
  }
}
