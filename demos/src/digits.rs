//! Digits of seven segments, as rectangles. Pure.

use blitd_client::Pixels;

/// Which segments a digit has: top, upper left, upper right, middle, lower left, lower right, bottom.
const SEGMENTS: [[u8; 7]; 10] = [
    [1, 1, 1, 0, 1, 1, 1],
    [0, 0, 1, 0, 0, 1, 0],
    [1, 0, 1, 1, 1, 0, 1],
    [1, 0, 1, 1, 0, 1, 1],
    [0, 1, 1, 1, 0, 1, 0],
    [1, 1, 0, 1, 0, 1, 1],
    [1, 1, 0, 1, 1, 1, 1],
    [1, 0, 1, 0, 0, 1, 0],
    [1, 1, 1, 1, 1, 1, 1],
    [1, 1, 1, 1, 0, 1, 1],
];

/// How thick the segments of digits of this height are.
pub fn thickness(height: u32) -> u32 {
    (height / 9).max(1)
}

/// How wide digits of this height are.
pub fn width(height: u32) -> u32 {
    (height * 5 / 9).max(3)
}

/// The rectangles of a digit with its top left corner at `(x, y)`; they meet in its corners, so that it looks of one
/// piece. What is no digit has none.
pub fn digit(value: u8, x: i32, y: i32, height: u32) -> Vec<Pixels> {
    let (thick, wide, upper) = (thickness(height), width(height), height / 2);
    let right = x + (wide - thick) as i32;
    let middle = y + upper as i32;
    let shapes = [
        (x, y, wide, thick),
        (x, y, thick, upper),
        (right, y, thick, upper),
        (x, middle - (thick / 2) as i32, wide, thick),
        (x, middle, thick, height - upper),
        (right, middle, thick, height - upper),
        (x, y + (height - thick) as i32, wide, thick),
    ];
    let segments = SEGMENTS.get(usize::from(value)).unwrap_or(&[0; 7]);
    let lit = shapes.into_iter().zip(segments).filter(|(_, lit)| **lit == 1);
    lit.map(|((x, y, width, height), _)| Pixels { x, y, width, height }).collect()
}

/// The two blocks between hours and minutes.
pub fn colon(x: i32, y: i32, height: u32) -> [Pixels; 2] {
    let side = thickness(height);
    let block =
        |part: u32| Pixels { x, y: y + (height * part / 3 - side / 2) as i32, width: side, height: side };
    [block(1), block(2)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which pixels of a field are covered.
    fn field(rectangles: &[Pixels]) -> Vec<bool> {
        let mut field = vec![false; 40 * 60];
        for shape in rectangles {
            for y in shape.y..shape.y + shape.height as i32 {
                for x in shape.x..shape.x + shape.width as i32 {
                    field[(y * 40 + x) as usize] = true;
                }
            }
        }
        field
    }

    #[test]
    fn an_eight_has_every_segment_and_two_holes() {
        for height in [7, 8, 25, 48] {
            let eight = digit(8, 2, 3, height);
            assert_eq!(eight.len(), 7);
            let bottom = eight.iter().map(|shape| shape.y + shape.height as i32).max();
            let right = eight.iter().map(|shape| shape.x + shape.width as i32).max();
            assert_eq!((bottom, right), (Some(3 + height as i32), Some(2 + width(height) as i32)));
            let field = field(&eight);
            let middle = (2 + width(height) / 2) as usize;
            let column: Vec<bool> = field.iter().skip(middle).step_by(40).copied().collect();
            assert_eq!(column.windows(2).filter(|pair| pair[0] && !pair[1]).count(), 3, "{height}");
        }
    }

    #[test]
    fn digits_differ() {
        let fields: Vec<_> = (0..10).map(|value| field(&digit(value, 0, 0, 40))).collect();
        for (index, one) in fields.iter().enumerate() {
            assert!(fields[index + 1..].iter().all(|other| one != other), "{index}");
        }
        assert!(digit(10, 0, 0, 40).is_empty());
    }
}
