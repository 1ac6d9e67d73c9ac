/* pgjdbc against kade serve: java -cp postgresql.jar Clients.java URL USER PASSWORD. Says what it saw, a line each. */
import java.io.StringReader;
import java.math.BigDecimal;
import java.sql.*;
import java.util.ArrayList;
import java.util.List;
import org.postgresql.PGConnection;

public class Clients {
    static void say(String name, Object value) {
        System.out.println(name + " " + value);
    }

    static List<String> column(ResultSet rows, String name) throws SQLException {
        List<String> values = new ArrayList<>();
        while (rows.next())
            values.add(rows.getString(name));
        return values;
    }

    static void batches(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("CREATE TABLE java_rows (id int PRIMARY KEY, name text, amount numeric(10,2), at timestamp, "
                + "good boolean)");
        }
        String sql = "INSERT INTO java_rows VALUES (?, ?, ?, ?, ?)";
        try (PreparedStatement insert = connection.prepareStatement(sql)) {
            for (int i = 0; i < 500; i++) {
                insert.setInt(1, i);
                insert.setString(2, "näme " + i);
                insert.setBigDecimal(3, new BigDecimal("1.50").add(BigDecimal.valueOf(i)));
                insert.setTimestamp(4, Timestamp.valueOf("2026-01-02 03:04:05.678"));
                insert.setBoolean(5, i % 2 == 0);
                insert.addBatch();
            }
            say("batch", insert.executeBatch().length);
        }
        try (PreparedStatement twice = connection.prepareStatement("INSERT INTO java_rows (id) VALUES (?)")) {
            twice.setInt(1, 1000);
            twice.addBatch();
            twice.setInt(1, 1);
            twice.addBatch();
            twice.executeBatch();
        } catch (BatchUpdateException error) {
            say("refused", error.getSQLState());
        }
        try (PreparedStatement count = connection.prepareStatement("SELECT count(*) FROM java_rows")) {
            say("count", column(count.executeQuery(), "count"));
        }
    }

    /* From the fifth run on the driver uses named statements and binary values. */
    static void reads(Connection connection) throws SQLException {
        String sql = "SELECT name, amount, at, good, id::bigint, 1.5::float8 FROM java_rows WHERE id = ?";
        String seen = "";
        try (PreparedStatement select = connection.prepareStatement(sql)) {
            for (int i = 0; i < 10; i++) {
                select.setInt(1, i);
                ResultSet row = select.executeQuery();
                row.next();
                seen = row.getString(1) + " " + row.getBigDecimal(2) + " " + row.getTimestamp(3) + " " + row.getBoolean(4)
                    + " " + row.getLong(5) + " " + row.getDouble(6);
            }
        }
        say("read", seen);
        connection.setAutoCommit(false);
        try (PreparedStatement select = connection.prepareStatement("SELECT id FROM java_rows ORDER BY id")) {
            select.setFetchSize(30);
            ResultSet rows = select.executeQuery();
            long sum = 0;
            while (rows.next())
                sum += rows.getInt(1);
            say("fetched", sum);
        }
        connection.rollback();
        connection.setAutoCommit(true);
    }

    static void describes(Connection connection) throws SQLException {
        DatabaseMetaData about = connection.getMetaData();
        say("tables", column(about.getTables(null, "public", "java%", new String[] {"TABLE"}), "TABLE_NAME"));
        say("columns", column(about.getColumns(null, "public", "java_rows", "%"), "TYPE_NAME"));
        say("keys", column(about.getPrimaryKeys(null, "public", "java_rows"), "COLUMN_NAME"));
        say("indexes", column(about.getIndexInfo(null, "public", "java_rows", true, false), "INDEX_NAME"));
    }

    public static void main(String[] arguments) throws Exception {
        try (Connection connection = DriverManager.getConnection(arguments[0], arguments[1], arguments[2])) {
            batches(connection);
            reads(connection);
            describes(connection);
            var copy = connection.unwrap(PGConnection.class).getCopyAPI();
            say("copied", copy.copyIn("COPY java_rows (id, name) FROM STDIN", new StringReader("2000\tx\n2001\ty\n")));
            try (Statement statement = connection.createStatement()) {
                statement.execute("SELECT 1/0");
            } catch (SQLException error) {
                say("error", error.getSQLState());
            }
        }
    }
}
