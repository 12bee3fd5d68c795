/** Holds a text that a heap dump shows, until it is asked to end. */
public class Main {
	static final byte[][] HELD = new byte[1024][];

	public static void main(String[] args) throws InterruptedException {
		for (int i = 0; i < HELD.length; i++) {
			HELD[i] = ("held in the heap " + i).getBytes();
		}
		System.out.println("ready");
		Thread.sleep(Long.MAX_VALUE);
	}
}
